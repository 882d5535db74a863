// EVFILT_READ reports an eventfd whose counter is not zero (kqueue(2) of FreeBSD, "Eventfds"). libkqueue refuses the
// descriptors of eventfd(2) and epoll_create(2), whose files have no type.
#include <sys/eventfd.h>

#include "reproduce.h"

int main(void)
{
    int kq = new_kqueue(), counter = eventfd(1, 0);
    require(counter >= 0, "eventfd");
    return verdict(change(kq, counter, EVFILT_READ, EV_ADD, 0) != 0, "an eventfd is refused");
}
