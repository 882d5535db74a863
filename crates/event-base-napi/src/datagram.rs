//! Datagram sockets, and the records of datagrams.
//!
//! JavaScript passes a batch of datagrams as two arrays of bytes. The first one has a slot for each datagram, the
//! second one a record of [`RECORD`] bytes for each slot, with little-endian numbers:
//!
//! | bytes | content |
//! |---|---|
//! | 0..4 | the length of the datagram |
//! | 4 | 1 if the datagram was truncated |
//! | 5 | the kind of the address: 0 none, 4 IPv4, 6 IPv6 |
//! | 6..8 | the port |
//! | 8..12 | the scope (`sin6_scope_id`) |
//! | 16..32 | the host, of IPv4 in 16..20 |

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use event_base::Error;
use event_base_net::Address;
use event_base_net::socket::{self, Datagram, DatagramOptions};
use napi::bindgen_prelude::Uint8Array;
use napi_derive::napi;

use crate::address::{BindingAddress, address};
use crate::error::Outcome;
use crate::socket::into_number;

/// Bytes of a record.
pub(crate) const RECORD: usize = 32;

pub(crate) type Record = [u8; RECORD];

/// Opens a bound UDP socket. Returns the descriptor.
#[napi(catch_unwind)]
pub fn datagram_bind(host_or_path: String, port: i32, reuse_port: bool, ipv6_only: bool) -> Outcome<i32> {
    let options = DatagramOptions { reuse_port, ipv6_only };
    let bound = address(host_or_path, port).and_then(|address| socket::bind_datagram(&address, &options));
    into_number(bound).into()
}

/// Opens a connected UDP socket. Returns the descriptor.
#[napi(catch_unwind)]
pub fn datagram_connect(host_or_path: String, port: i32) -> Outcome<i32> {
    let connected = address(host_or_path, port).and_then(|address| socket::connect_datagram(&address));
    into_number(connected).into()
}

/// The record of an empty datagram for an address.
#[napi(catch_unwind)]
pub fn datagram_record(host_or_path: String, port: i32) -> Outcome<Uint8Array> {
    let record = address(host_or_path, port).map(|address| {
        let address = if let Address::Internet(address) = address { Some(address) } else { None };
        encode(&Datagram { address, ..Datagram::default() }).to_vec()
    });
    record.map(Uint8Array::from).into()
}

/// The address in a record.
#[napi(catch_unwind)]
pub fn datagram_address(record: Uint8Array) -> Outcome<Option<BindingAddress>> {
    let record = Record::try_from(&*record).map_err(|_| Error::OutOfRange("record"));
    let address = record.map(|record| decode(&record).address);
    Outcome(address.map(|address| address.map(|address| BindingAddress::from(&Address::Internet(address)))))
}

/// Writes a record.
pub(crate) fn encode(datagram: &Datagram) -> Record {
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

/// Reads a record.
pub(crate) fn decode(record: &Record) -> Datagram {
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
