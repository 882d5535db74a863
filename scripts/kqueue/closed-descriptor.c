// Closing a descriptor deletes its filters (kqueue(2)). libkqueue keeps them, so a filter that is added for another file
// under the same number is taken for the old one, and the file is not watched.
#include "reproduce.h"

int main(void)
{
    int kq = new_kqueue(), pair[2], other[2];
    new_pair(pair);
    new_pair(other);
    must_change(kq, pair[0], EVFILT_READ, EV_ADD, 0);
    // Closes the first file.
    require(dup2(other[0], pair[0]) == pair[0], "dup2");
    must_change(kq, pair[0], EVFILT_READ, EV_ADD, 0);
    send_byte(other[1]);
    struct kevent event;
    return verdict(wait_for(kq, &event, 1) == 0, "a file under a number that was used before is not watched");
}
