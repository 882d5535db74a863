// Enabling a filter that is enabled has no effect (kqueue(2), EV_ENABLE). libkqueue refuses it with EEXIST.
#include "reproduce.h"

int main(void)
{
    int kq = new_kqueue(), pair[2];
    new_pair(pair);
    must_change(kq, pair[0], EVFILT_READ, EV_ADD, 0);
    return verdict(change(kq, pair[0], EVFILT_READ, EV_ENABLE, 0) == EEXIST, "an enabled filter cannot be enabled");
}
