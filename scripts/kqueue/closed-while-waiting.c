// An event that is triggered ends a wait, also if the kqueue is closed afterwards: a call keeps the file of its descriptor.
// libkqueue loses the event if the waiting thread has not run in between, and the wait does not end.
#include <pthread.h>

#include "reproduce.h"

static int kq;

static void *wait_for_one(void *argument)
{
    struct kevent event;
    kevent(kq, NULL, 0, &event, 1, NULL);
    return argument;
}

int main(void)
{
    for (int time = 0; time < 60; time++) {
        limit(5);
        kq = new_kqueue();
        must_change(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0);
        pthread_t waiting;
        require(pthread_create(&waiting, NULL, wait_for_one, NULL) == 0, "pthread_create");
        usleep(50000);
        must_change(kq, 1, EVFILT_USER, 0, NOTE_TRIGGER);
        require(close(kq) == 0, "close");
        require(pthread_join(waiting, NULL) == 0, "pthread_join");
    }
    return verdict(0, "a call does not return");
}
