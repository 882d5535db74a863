// Threads may create and close kqueues at the same time. In libkqueue they block each other for ever.
#include <pthread.h>

#include "reproduce.h"

enum { THREADS = 20, TIMES = 200 };

static void *create_and_close(void *argument)
{
    for (int time = 0; time < TIMES; time++) {
        int kq = new_kqueue();
        must_change(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0);
        require(close(kq) == 0, "close");
    }
    return argument;
}

int main(void)
{
    limit(15);
    pthread_t threads[THREADS];
    for (int index = 0; index < THREADS; index++)
        require(pthread_create(&threads[index], NULL, create_and_close, NULL) == 0, "pthread_create");
    for (int index = 0; index < THREADS; index++)
        require(pthread_join(threads[index], NULL) == 0, "pthread_join");
    return verdict(0, "a call does not return");
}
