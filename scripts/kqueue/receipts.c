// EV_RECEIPT makes a call return a receipt for each change, with EV_ERROR (kqueue(2)). libkqueue returns 0.
#include "reproduce.h"

int main(void)
{
    int kq = new_kqueue(), pair[2];
    new_pair(pair);
    struct kevent record, receipt = {0};
    EV_SET(&record, pair[0], EVFILT_READ, EV_ADD | EV_RECEIPT, 0, 0, NULL);
    struct timespec none = {0};
    int count = kevent(kq, &record, 1, &receipt, 1, &none);
    require(count >= 0, "kevent");
    return verdict(count == 0 || (receipt.flags & EV_ERROR) == 0, "a receipt is not counted, or has no EV_ERROR");
}
