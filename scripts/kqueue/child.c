// A child process can create a kqueue. In libkqueue, a child uses the thread of its parent that frees kqueues if this
// thread exists at the fork, and it ends with the parent's last kqueue. If the thread holds a lock at the fork, the child
// waits for it for ever.
#include <sys/wait.h>

#include "reproduce.h"

int main(void)
{
    for (int time = 0; time < 20; time++) {
        require(close(new_kqueue()) == 0, "close");
        pid_t child = fork();
        require(child >= 0, "fork");
        if (child == 0) {
            limit(5);
            usleep(SHORT * 1000);
            _exit(kqueue() < 0 ? 0 : 1);
        }
        int status;
        require(waitpid(child, &status, 0) == child && WIFEXITED(status), "waitpid");
        if (WEXITSTATUS(status) == 0)
            return verdict(1, "a child cannot create a kqueue");
    }
    return verdict(0, "a child cannot create a kqueue");
}
