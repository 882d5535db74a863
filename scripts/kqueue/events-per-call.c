// A call returns as many events as there is room for (kqueue(2)). libkqueue returns 512 at most.
#include "reproduce.h"

enum { READY = 600, ROOM = 1024 };

int main(void)
{
    int kq = new_kqueue(), pair[2];
    new_pair(pair);
    for (int number = 0; number < READY; number++) {
        int duplicate = dup(pair[0]);
        require(duplicate >= 0, "dup");
        must_change(kq, duplicate, EVFILT_WRITE, EV_ADD, 0);
    }
    static struct kevent events[ROOM];
    int found = wait_for(kq, events, ROOM);
    printf("%d of %d events\n", found, READY);
    return verdict(found < READY, "events that are due are left out");
}
