//! Descriptors that JavaScript reads and writes, and the memory of its typed arrays.
//!
//! A pointer into JavaScript's memory is valid until JavaScript runs again: code that runs can detach or resize the
//! memory, and an element of an array can be a getter. So pointers are taken after the last element was read, and
//! nothing between here and the system call runs JavaScript.
#![expect(unsafe_code, reason = "the bytes of a typed array are a pointer and a length")]

use std::ffi::CStr;
use std::io::IoSlice;
use std::os::fd::BorrowedFd;
use std::ptr;

use event_base::Error;
use event_base_net::socket;
use napi::sys;

use super::call::{Call, Export, Value};
use crate::descriptor::borrow;

/// Buffers that one call writes at most.
const MOST_BUFFERS: usize = 64;

/// Where a typed array has its elements, of which there are `count`. Valid until JavaScript runs again.
pub(super) struct Elements {
    pub(super) kind: sys::napi_typedarray_type,
    pub(super) count: usize,
    pub(super) data: *mut std::ffi::c_void,
}

impl Call {
    /// The elements of a typed array. `None` for any other value, and for memory that threads share.
    pub(super) fn elements(&self, array: sys::napi_value) -> Option<Elements> {
        let (mut kind, mut count, mut data) = (0, 0, ptr::null_mut());
        let mut memory = ptr::null_mut();
        // SAFETY: a value of this call is never null; the out-pointers are valid, or null where not needed.
        let status = unsafe {
            sys::napi_get_typedarray_info(
                self.env,
                array,
                &raw mut kind,
                &raw mut count,
                &raw mut data,
                &raw mut memory,
                ptr::null_mut(),
            )
        };
        if status != sys::Status::napi_ok {
            return None;
        }
        let mut is_unshared = false;
        // SAFETY: the call above has written the value.
        _ = unsafe { sys::napi_is_arraybuffer(self.env, memory, &raw mut is_unshared) };
        is_unshared.then_some(Elements { kind, count, data })
    }

    fn bytes(&self, array: sys::napi_value) -> Option<(*mut u8, usize)> {
        let elements = self.elements(array)?;
        (elements.kind == sys::TypedarrayType::uint8_array).then(|| (elements.data.cast(), elements.count))
    }

    /// Runs `call` on the bytes `offset..offset + length` of a `Uint8Array`. `call` must not run JavaScript.
    pub(super) fn with_bytes<T>(
        &self,
        index: usize,
        (offset, length): (u32, u32),
        call: impl FnOnce(&mut [u8]) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let found = self.bytes(self.arguments[index]);
        let end = offset.checked_add(length).map(|end| end as usize);
        let Some((data, _)) = found.filter(|(_, count)| end.is_some_and(|end| end <= *count)) else {
            return Err(Error::OutOfRange("the part of the buffer"));
        };
        if length == 0 {
            return call(&mut []);
        }
        // SAFETY: the part lies inside the array, whose bytes do not move before JavaScript runs again.
        let start = unsafe { data.add(offset as usize) };
        // SAFETY: as above; JavaScript waits for this call, and `elements` refuses memory of other threads, so there
        // is no other reference to the bytes.
        call(unsafe { std::slice::from_raw_parts_mut(start, length as usize) })
    }

    /// The first [`MOST_BUFFERS`] elements of an array. A getter among them runs here.
    fn values<'values>(
        &self,
        array: sys::napi_value,
        values: &'values mut [sys::napi_value; MOST_BUFFERS],
    ) -> Result<&'values [sys::napi_value], Error> {
        let refused = Error::OutOfRange("the buffers");
        let mut count = 0;
        // SAFETY: an argument is never null and the out-pointer is valid.
        let status = unsafe { sys::napi_get_array_length(self.env, array, &raw mut count) };
        if status != sys::Status::napi_ok {
            return Err(refused);
        }
        let values = &mut values[..MOST_BUFFERS.min(count as usize)];
        for (index, value) in values.iter_mut().enumerate() {
            // SAFETY: as above.
            let status = unsafe { sys::napi_get_element(self.env, array, index as u32, value) };
            if status != sys::Status::napi_ok {
                return Err(refused);
            }
        }
        Ok(values)
    }

    /// Runs `call` on the first [`MOST_BUFFERS`] of an array of `Uint8Array`s, up to `most` bytes in all. `call` must
    /// not run JavaScript.
    fn with_buffers<T>(
        &self,
        index: usize,
        most: u32,
        call: impl FnOnce(&[IoSlice<'_>]) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut values = [ptr::null_mut(); MOST_BUFFERS];
        let values = self.values(self.arguments[index], &mut values)?;
        let mut slices = [IoSlice::new(&[]); MOST_BUFFERS];
        let (mut filled, mut rest) = (0, most as usize);
        for (slice, value) in slices.iter_mut().zip(values) {
            if rest == 0 {
                break;
            }
            let (data, count) = self.bytes(*value).ok_or(Error::OutOfRange("the buffers"))?;
            let length = count.min(rest);
            if length > 0 {
                // SAFETY: the bytes do not move before JavaScript runs again, and nothing writes to them until then.
                *slice = IoSlice::new(unsafe { std::slice::from_raw_parts(data, length) });
            }
            filled += 1;
            rest -= length;
        }
        call(&slices[..filled])
    }

    /// Moves bytes between a descriptor and a part of an array: returns how many, or -1.
    fn transfer(
        &self,
        syscall: &'static str,
        call: impl FnOnce(BorrowedFd<'_>, &mut [u8]) -> Result<Option<usize>, Error>,
    ) -> Result<Value, Error> {
        let fd = borrow(self.int(0), syscall)?;
        self.with_bytes(1, (self.uint(2), self.uint(3)), |bytes| call(fd, bytes)).map(Value::moved)
    }
}

pub(super) struct SocketRead;

impl Export for SocketRead {
    const NAME: &'static CStr = c"socketRead";

    fn call(call: &Call) -> Result<Value, Error> {
        call.transfer("read", |fd, bytes| socket::read(fd, bytes))
    }
}

pub(super) struct SocketWrite;

impl Export for SocketWrite {
    const NAME: &'static CStr = c"socketWrite";

    fn call(call: &Call) -> Result<Value, Error> {
        call.transfer("write", |fd, bytes| socket::write(fd, bytes))
    }
}

pub(super) struct SocketWriteMany;

impl Export for SocketWriteMany {
    const NAME: &'static CStr = c"socketWriteMany";

    fn call(call: &Call) -> Result<Value, Error> {
        let fd = borrow(call.int(0), "writev")?;
        call.with_buffers(1, call.uint(2), |buffers| socket::write_vectored(fd, buffers)).map(Value::moved)
    }
}

pub(super) struct SocketPeek;

impl Export for SocketPeek {
    const NAME: &'static CStr = c"socketPeek";

    fn call(call: &Call) -> Result<Value, Error> {
        call.transfer("recv", |fd, bytes| socket::peek(fd, bytes))
    }
}

pub(super) struct OwnDescriptor;

impl Export for OwnDescriptor {
    const NAME: &'static CStr = c"ownDescriptor";

    fn call(call: &Call) -> Result<Value, Error> {
        call.handle()?.own_descriptor(call.int(1), call.boolean(2));
        Ok(Value::Undefined)
    }
}

pub(super) struct DisownDescriptor;

impl Export for DisownDescriptor {
    const NAME: &'static CStr = c"disownDescriptor";

    fn call(call: &Call) -> Result<Value, Error> {
        call.handle()?.disown_descriptor(call.int(1));
        Ok(Value::Undefined)
    }
}
