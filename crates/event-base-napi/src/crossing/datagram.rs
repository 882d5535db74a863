//! Batches of datagrams.

use std::ffi::CStr;

use event_base::Error;
use event_base_net::socket::{self, Datagram, MOST_DATAGRAMS};

use super::call::{Call, Export, Value};
use crate::datagram::{RECORD, decode, encode};
use crate::descriptor::borrow;

/// Receives into the first slots.
pub(super) struct DatagramReceive;

impl Export for DatagramReceive {
    const NAME: &'static CStr = c"datagramReceive";

    fn call(call: &Call) -> Result<Value, Error> {
        let fd = borrow(call.int(0), "recvmsg")?;
        let (size, count) = (call.uint(2), call.uint(3));
        let mut datagrams = [Datagram::default(); MOST_DATAGRAMS];
        let datagrams = datagrams.get_mut(..count as usize).ok_or(Error::OutOfRange("count"))?;
        let received = call.with_bytes(1, (0, size.saturating_mul(count)), |slots| {
            socket::receive_many(fd, slots, size as usize, datagrams)
        })?;
        let Some(received) = received else { return Ok(Value::moved(None)) };
        call.with_bytes(4, (0, (received * RECORD) as u32), |records| {
            for (record, datagram) in records.chunks_exact_mut(RECORD).zip(&*datagrams) {
                record.copy_from_slice(&encode(datagram));
            }
            Ok(Value::Int(received as i32))
        })
    }
}

/// Sends some slots.
pub(super) struct DatagramSend;

impl Export for DatagramSend {
    const NAME: &'static CStr = c"datagramSend";

    fn call(call: &Call) -> Result<Value, Error> {
        let fd = borrow(call.int(0), "sendmsg")?;
        let (size, from, count) = (call.uint(2), call.uint(3), call.uint(4));
        let mut datagrams = [Datagram::default(); MOST_DATAGRAMS];
        let datagrams = datagrams.get_mut(..count as usize).ok_or(Error::OutOfRange("count"))?;
        let part = |each: u32| (from.saturating_mul(each), count.saturating_mul(each));
        call.with_bytes(5, part(RECORD as u32), |records| {
            for (datagram, record) in datagrams.iter_mut().zip(records.as_chunks::<RECORD>().0) {
                *datagram = decode(record);
            }
            Ok(())
        })?;
        let sent =
            call.with_bytes(1, part(size), |slots| socket::send_many(fd, slots, size as usize, datagrams))?;
        Ok(Value::moved(sent))
    }
}
