// FreeBSD and Darwin evaluate a filter with every change that leaves it enabled (kqueue_register of FreeBSD, filt_sotouch
// of Darwin), so that readiness that was reported already is reported again. libkqueue evaluates only a new filter.
#include "reproduce.h"

int main(void)
{
    int kq = new_kqueue(), pair[2];
    new_pair(pair);
    send_byte(pair[1]);
    struct kevent event;
    must_change(kq, pair[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0);
    require(wait_for(kq, &event, 1) == 1, "the byte is not reported");
    require(wait_for(kq, &event, 1) == 0, "EV_CLEAR has no effect");
    must_change(kq, pair[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0);
    return verdict(wait_for(kq, &event, 1) == 0, "a filter that was changed is not checked again");
}
