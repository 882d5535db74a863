//! The two servers: a proxy and an upstream, both on libevent's buffered events.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::{BorrowedFd, RawFd};

use crate::Outcome;
use crate::bufferevent::{Accepting, Base, READ, Sides, Stream, WRITE};

/// Unwritten bytes above which the other side is not read, as in libevent's sample `le-proxy`.
const MOST_UNWRITTEN: usize = 512 * 1024;

/// A proxy that moves the buffers of one side to the other without copying them.
pub(crate) fn forward(upstream: u16) -> Outcome {
    serve(upstream, |Accepting { base, upstream, .. }, fd| {
        let near = base.stream(Some(fd));
        let far = base.stream(None);
        let (Some(near), Some(far)) = (near, far) else { return };
        near.call::<Proxy>(Some(far), false);
        far.call::<Proxy>(Some(near), false);
        if !far.connect(*upstream) {
            near.free();
            far.free();
            return;
        }
        near.enable(READ | WRITE);
        far.enable(READ | WRITE);
    })
}

/// An echo server.
pub(crate) fn echo() -> Outcome {
    serve(0, |Accepting { base, .. }, fd| {
        if let Some(stream) = base.stream(Some(fd)) {
            stream.call::<Echo>(None, false);
            stream.enable(READ | WRITE);
        }
    })
}

fn serve(upstream: u16, accept: fn(&Accepting, RawFd)) -> Outcome {
    let base = Base::new()?;
    let fd = base.listen(Accepting { base, upstream, accept })?;
    println!("listening at {}", address(fd)?);
    base.run()?;
    Ok(())
}

fn address(fd: BorrowedFd<'_>) -> std::io::Result<SocketAddr> {
    // A copy, because the original is closed with the listener.
    TcpListener::from(fd.try_clone_to_owned()?).local_addr()
}

struct Proxy;

impl Sides for Proxy {
    fn readable(stream: Stream, partner: Option<Stream>) {
        let Some(partner) = partner else { return stream.drop_input() };
        stream.move_input_to(partner);
        if partner.unwritten() >= MOST_UNWRITTEN {
            partner.call::<Proxy>(Some(stream), true);
            partner.set_write_watermark(MOST_UNWRITTEN / 2, MOST_UNWRITTEN);
            stream.disable(READ);
        }
    }

    fn drained(stream: Stream, partner: Option<Stream>) {
        match partner {
            Some(partner) => {
                stream.call::<Proxy>(Some(partner), false);
                stream.set_write_watermark(0, 0);
                partner.enable(READ);
            }
            // The remaining output is written.
            None if stream.unwritten() == 0 => stream.free(),
            None => {}
        }
    }

    fn ended(stream: Stream, partner: Option<Stream>) {
        if let Some(partner) = partner {
            stream.move_input_to(partner);
            if partner.unwritten() == 0 {
                partner.free();
            } else {
                partner.set_write_watermark(0, 0);
                partner.call::<Proxy>(None, true);
                partner.disable(READ);
            }
        }
        stream.free();
    }
}

struct Echo;

impl Sides for Echo {
    fn readable(stream: Stream, _: Option<Stream>) {
        stream.move_input_to(stream);
        if stream.unwritten() >= MOST_UNWRITTEN {
            stream.call::<Echo>(None, true);
            stream.set_write_watermark(MOST_UNWRITTEN / 2, MOST_UNWRITTEN);
            stream.disable(READ);
        }
    }

    fn drained(stream: Stream, _: Option<Stream>) {
        stream.call::<Echo>(None, false);
        stream.set_write_watermark(0, 0);
        stream.enable(READ);
    }

    fn ended(stream: Stream, _: Option<Stream>) {
        stream.free();
    }
}
