//! Datagrams: sockets for them, and batches that cross the border as two arrays of bytes.
//!
//! The first array is the slots; the second has one record of [`RECORD`] bytes for each slot, with little-endian
//! numbers:
//!
//! | bytes | what |
//! |---|---|
//! | 0..4 | the datagram's length |
//! | 4 | 1 if there was more of it |
//! | 5 | the address: 0 none, 4 IPv4, 6 IPv6 |
//! | 6..8 | its port |
//! | 8..12 | its scope (`sin6_scope_id`) |
//! | 16..32 | its host, of IPv4 in 16..20 |

use std::ffi::CStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use event_base::Error;
use event_base_net::Address;
use event_base_net::socket::{self, Datagram, DatagramOptions, MOST_DATAGRAMS};
use napi::Env;
use napi::bindgen_prelude::Uint8Array;
use napi_derive::napi;

use crate::crossing::{Call, Export, Value};
use crate::descriptor::{BindingAddress, address, borrow};
use crate::error::check;
use crate::socket::hand_over;

/// Bytes of a record.
const RECORD: usize = 32;

type Record = [u8; RECORD];

/// A bound UDP socket.
#[napi(catch_unwind)]
pub fn datagram_bind(
    env: Env,
    place: String,
    port: i32,
    reuse_port: bool,
    ipv6_only: bool,
) -> napi::Result<i32> {
    let options = DatagramOptions { reuse_port, ipv6_only };
    let bound = address(place, port).and_then(|address| socket::bind_datagram(&address, &options));
    check(&env, hand_over(bound))
}

/// A connected UDP socket.
#[napi(catch_unwind)]
pub fn datagram_connect(env: Env, place: String, port: i32) -> napi::Result<i32> {
    let connected = address(place, port).and_then(|address| socket::connect_datagram(&address));
    check(&env, hand_over(connected))
}

/// The record of an empty datagram to an address.
#[napi(catch_unwind)]
pub fn datagram_record(env: Env, place: String, port: i32) -> napi::Result<Uint8Array> {
    let record = address(place, port).map(|address| {
        let address = if let Address::Internet(address) = address { Some(address) } else { None };
        encode(&Datagram { address, ..Datagram::default() }).to_vec()
    });
    check(&env, record).map(Uint8Array::from)
}

/// The address in a record.
#[napi(catch_unwind)]
pub fn datagram_address(env: Env, record: Uint8Array) -> napi::Result<Option<BindingAddress>> {
    let record = Record::try_from(&*record).map_err(|_| Error::OutOfRange("record"));
    let address = check(&env, record).map(|record| decode(&record).address)?;
    Ok(address.map(|address| BindingAddress { place: address.ip().to_string(), port: address.port().into() }))
}

/// Receives into the first slots.
pub(crate) struct DatagramReceive;

impl Export for DatagramReceive {
    const NAME: &'static CStr = c"datagramReceive";

    fn call(call: &Call) -> napi::Result<Value> {
        let fd = call.check(borrow(call.int(0), "recvmsg"))?;
        let (size, count) = (call.uint(2), call.uint(3));
        let mut datagrams = [Datagram::default(); MOST_DATAGRAMS];
        let datagrams = datagrams.get_mut(..count as usize).ok_or(Error::OutOfRange("count"));
        let datagrams = call.check(datagrams)?;
        let received = call.with_bytes(1, (0, size.saturating_mul(count)), |slots| {
            socket::receive_many(fd, slots, size as usize, datagrams)
        });
        let Some(received) = call.check(received)? else { return Ok(Value::moved(None)) };
        let written = call.with_bytes(4, (0, (received * RECORD) as u32), |records| {
            for (record, datagram) in records.chunks_exact_mut(RECORD).zip(&*datagrams) {
                record.copy_from_slice(&encode(datagram));
            }
            Ok(())
        });
        call.check(written).map(|()| Value::Int(received as i32))
    }
}

/// Sends some slots.
pub(crate) struct DatagramSend;

impl Export for DatagramSend {
    const NAME: &'static CStr = c"datagramSend";

    fn call(call: &Call) -> napi::Result<Value> {
        let fd = call.check(borrow(call.int(0), "sendmsg"))?;
        let (size, from, count) = (call.uint(2), call.uint(3), call.uint(4));
        let mut datagrams = [Datagram::default(); MOST_DATAGRAMS];
        let datagrams = datagrams.get_mut(..count as usize).ok_or(Error::OutOfRange("count"));
        let datagrams = call.check(datagrams)?;
        let part = |each: u32| (from.saturating_mul(each), count.saturating_mul(each));
        let read = call.with_bytes(5, part(RECORD as u32), |records| {
            for (datagram, record) in datagrams.iter_mut().zip(records.as_chunks::<RECORD>().0) {
                *datagram = decode(record);
            }
            Ok(())
        });
        call.check(read)?;
        let sent =
            call.with_bytes(1, part(size), |slots| socket::send_many(fd, slots, size as usize, datagrams));
        call.check(sent).map(Value::moved)
    }
}

fn encode(datagram: &Datagram) -> Record {
    let mut record = [0; RECORD];
    record[..4].copy_from_slice(&(datagram.length as u32).to_le_bytes());
    record[4] = datagram.truncated.into();
    let Some(address) = datagram.address else { return record };
    record[6..8].copy_from_slice(&address.port().to_le_bytes());
    match address {
        SocketAddr::V4(address) => {
            record[5] = 4;
            record[16..20].copy_from_slice(&address.ip().octets());
        }
        SocketAddr::V6(address) => {
            record[5] = 6;
            record[8..12].copy_from_slice(&address.scope_id().to_le_bytes());
            record[16..].copy_from_slice(&address.ip().octets());
        }
    }
    record
}

fn decode(record: &Record) -> Datagram {
    let port = u16::from_le_bytes([record[6], record[7]]);
    let word = |at: usize| u32::from_le_bytes([record[at], record[at + 1], record[at + 2], record[at + 3]]);
    let address = match record[5] {
        4 => {
            let host = Ipv4Addr::new(record[16], record[17], record[18], record[19]);
            Some(SocketAddr::new(IpAddr::V4(host), port))
        }
        6 => {
            let mut host = [0; 16];
            host.copy_from_slice(&record[16..]);
            Some(SocketAddrV6::new(Ipv6Addr::from(host), port, 0, word(8)).into())
        }
        _ => None,
    };
    Datagram { length: word(0) as usize, truncated: record[4] != 0, address }
}
