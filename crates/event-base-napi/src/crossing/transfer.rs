//! Reading and writing: what is called for every piece of data.
#![expect(unsafe_code, reason = "the bytes of a typed array are a pointer and a length")]

use std::ffi::CStr;
use std::io::IoSlice;
use std::os::fd::BorrowedFd;
use std::ptr;

use event_base::Error;
use event_base_net::socket;
use napi::sys;

use super::{Call, Export, Value};
use crate::descriptor::borrow;

/// Buffers that are written in one go.
const MOST_BUFFERS: usize = 64;

impl Call {
    /// Runs `call` on the bytes `offset..offset + length` of a typed array of bytes.
    ///
    /// The kernel reads or writes them within this call, while JavaScript, which alone could touch them,
    /// waits: TypeScript refuses arrays that threads share.
    pub(crate) fn with_bytes<T>(
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
        // SAFETY: the part lies inside the array, whose bytes stay where they are until the call returns.
        let start = unsafe { data.add(offset as usize) };
        // SAFETY: as above, and nobody else has a reference to them: see the comment of this function.
        call(unsafe { std::slice::from_raw_parts_mut(start, length as usize) })
    }

    /// Where a typed array of bytes has them, and how many.
    fn bytes(&self, array: sys::napi_value) -> Option<(*mut u8, usize)> {
        let (mut kind, mut count, mut data) = (0, 0, ptr::null_mut());
        // SAFETY: a value of this call is never null; the out-pointers are valid or null where not wanted.
        let status = unsafe {
            sys::napi_get_typedarray_info(
                self.env.raw(),
                array,
                &raw mut kind,
                &raw mut count,
                &raw mut data,
                ptr::null_mut(),
                ptr::null_mut(),
            )
        };
        let is_bytes = status == sys::Status::napi_ok && kind == sys::TypedarrayType::uint8_array;
        is_bytes.then(|| (data.cast(), count))
    }

    /// Runs `call` on the first [`MOST_BUFFERS`] of an array of typed arrays of bytes, up to `most` bytes in all.
    /// As for [`Call::with_bytes`].
    fn with_buffers<T>(
        &self,
        index: usize,
        most: u32,
        call: impl FnOnce(&[IoSlice<'_>]) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut slices = [IoSlice::new(&[]); MOST_BUFFERS];
        let mut filled = 0;
        let mut rest = most as usize;
        while filled < MOST_BUFFERS && rest > 0 {
            let mut array = ptr::null_mut();
            // SAFETY: the argument is never null and the out-pointer valid.
            let status = unsafe {
                sys::napi_get_element(self.env.raw(), self.arguments[index], filled as u32, &raw mut array)
            };
            if status != sys::Status::napi_ok {
                return Err(Error::OutOfRange("the buffers"));
            }
            // Behind the last buffer there is `undefined`.
            let Some((data, count)) = self.bytes(array) else { break };
            let length = count.min(rest);
            if length > 0 {
                // SAFETY: the bytes stay where they are until the call returns, and nobody writes to them.
                slices[filled] = IoSlice::new(unsafe { std::slice::from_raw_parts(data, length) });
            }
            rest -= length;
            filled += 1;
        }
        call(&slices[..filled])
    }

    /// Transfers bytes between a descriptor and a part of an array: how many, or -1.
    fn transfer(
        &self,
        syscall: &'static str,
        call: impl FnOnce(BorrowedFd<'_>, &mut [u8]) -> Result<Option<usize>, Error>,
    ) -> napi::Result<Value> {
        let fd = self.check(borrow(self.int(0), syscall))?;
        let moved = self.with_bytes(1, (self.uint(2), self.uint(3)), |bytes| call(fd, bytes));
        self.check(moved).map(Value::moved)
    }
}

pub(super) struct SocketRead;

impl Export for SocketRead {
    const NAME: &'static CStr = c"socketRead";

    fn call(call: &Call) -> napi::Result<Value> {
        call.transfer("read", |fd, bytes| socket::read(fd, bytes))
    }
}

pub(super) struct SocketWrite;

impl Export for SocketWrite {
    const NAME: &'static CStr = c"socketWrite";

    fn call(call: &Call) -> napi::Result<Value> {
        call.transfer("write", |fd, bytes| socket::write(fd, bytes))
    }
}

pub(super) struct SocketWriteMany;

impl Export for SocketWriteMany {
    const NAME: &'static CStr = c"socketWriteMany";

    fn call(call: &Call) -> napi::Result<Value> {
        let fd = call.check(borrow(call.int(0), "writev"))?;
        let written = call.with_buffers(1, call.uint(2), |buffers| socket::write_vectored(fd, buffers));
        call.check(written).map(Value::moved)
    }
}

pub(super) struct SocketPeek;

impl Export for SocketPeek {
    const NAME: &'static CStr = c"socketPeek";

    fn call(call: &Call) -> napi::Result<Value> {
        call.transfer("recv", |fd, bytes| socket::peek(fd, bytes))
    }
}
