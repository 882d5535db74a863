// A child process does not inherit a kqueue (kqueue(2)), so that it has no descriptor of that number. With libkqueue, it
// has.
#include <fcntl.h>
#include <sys/wait.h>

#include "reproduce.h"

int main(void)
{
    int kq = new_kqueue();
    pid_t child = fork();
    require(child >= 0, "fork");
    if (child == 0)
        _exit(fcntl(kq, F_GETFD) < 0 ? 1 : 0);
    int status;
    require(waitpid(child, &status, 0) == child && WIFEXITED(status), "waitpid");
    return verdict(WEXITSTATUS(status) == 0, "the child has the descriptor");
}
