// A descriptor can have a filter for reading and one for writing: a filter is identified by number and kind (kqueue(2)).
// libkqueue refuses the second one with EFAULT.
#include "reproduce.h"

int main(void)
{
    int kq = new_kqueue(), pair[2];
    new_pair(pair);
    must_change(kq, pair[0], EVFILT_READ, EV_ADD, 0);
    return verdict(change(kq, pair[0], EVFILT_WRITE, EV_ADD, 0) != 0, "the second filter is refused");
}
