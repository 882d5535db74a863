// The descriptor of a kqueue is readable while it has events (kqueue(2), "Kqueues"; poll(2)). libkqueue's is not.
#include <poll.h>

#include "reproduce.h"

int main(void)
{
    int kq = new_kqueue();
    struct kevent event;
    must_change(kq, 1, EVFILT_USER, EV_ADD, 0);
    must_change(kq, 1, EVFILT_USER, 0, NOTE_TRIGGER);
    struct pollfd watched = {.fd = kq, .events = POLLIN};
    int count = poll(&watched, 1, SHORT);
    require(count >= 0, "poll");
    require(wait_for(kq, &event, 1) == 1, "the kqueue has no event");
    return verdict((watched.revents & POLLIN) == 0, "the descriptor is not readable");
}
