// A thread may delete a filter while another one waits: the filter is reported or not. libkqueue uses the memory of a
// filter that it has freed, and the process ends with SIGSEGV or SIGABRT, or a call does not return.
#include <pthread.h>
#include <sys/wait.h>

#include "reproduce.h"

enum { THREADS = 4, SECONDS = 4, ROUNDS = 8 };

static int kq;

static void *add_and_delete(void *argument)
{
    int pair[2];
    new_pair(pair);
    send_byte(pair[1]);
    for (;;) {
        must_change(kq, pair[0], EVFILT_READ, EV_ADD, 0);
        must_change(kq, pair[0], EVFILT_READ, EV_DELETE, 0);
    }
    return argument;
}

static void wait_and_delete(void)
{
    kq = new_kqueue();
    pthread_t thread;
    for (int index = 0; index < THREADS; index++)
        require(pthread_create(&thread, NULL, add_and_delete, NULL) == 0, "pthread_create");
    struct timespec none = {0};
    time_t end = time(NULL) + SECONDS;
    while (time(NULL) < end) {
        struct kevent events[16];
        require(kevent(kq, NULL, 0, events, 16, &none) >= 0, "kevent");
    }
    _exit(0);
}

int main(void)
{
    int status = 0;
    for (int round = 0; round < ROUNDS && status == 0; round++) {
        pid_t child = fork();
        require(child >= 0, "fork");
        if (child == 0) {
            alarm(3 * SECONDS);
            wait_and_delete();
        }
        require(waitpid(child, &status, 0) == child, "waitpid");
    }
    return verdict(WIFSIGNALED(status), "a process is ended by a signal");
}
