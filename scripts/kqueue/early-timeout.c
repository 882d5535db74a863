// The timeout of kevent(2) is the longest wait; without events, a call does not return before. libkqueue rounds it down to
// milliseconds.
#include "reproduce.h"

static double milliseconds(void)
{
    struct timespec now;
    require(clock_gettime(CLOCK_MONOTONIC, &now) == 0, "clock_gettime");
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

int main(void)
{
    int kq = new_kqueue();
    struct timespec timeout = {.tv_nsec = 1900000};
    int early = 0;
    for (int time = 0; time < 200; time++) {
        struct kevent event;
        double start = milliseconds();
        require(kevent(kq, NULL, 0, &event, 1, &timeout) == 0, "kevent");
        early += milliseconds() - start < 1.9;
    }
    printf("%d of 200 waits of 1.9 ms\n", early);
    return verdict(early > 0, "a wait ends early");
}
