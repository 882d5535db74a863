//! Replaces entries of the global offset tables of loaded addons.

use std::ffi::CStr;
use std::slice;

use libc::{c_int, c_void, dl_phdr_info, size_t};

use crate::hooks::HOOKS;

/// `Elf64_Dyn` of elf(5).
#[repr(C)]
struct Dynamic {
    tag: i64,
    value: u64,
}

/// `Elf64_Rela` of elf(5).
#[repr(C)]
struct Relocation {
    offset: u64,
    info: u64,
    addend: i64,
}

const DT_PLTRELSZ: i64 = 2;
const DT_STRTAB: i64 = 5;
const DT_SYMTAB: i64 = 6;
const DT_RELA: i64 = 7;
const DT_RELASZ: i64 = 8;
const DT_JMPREL: i64 = 23;

/// The types of relocations that store the address of a function: `GLOB_DAT` and `JUMP_SLOT`.
#[cfg(target_arch = "x86_64")]
const TYPES: [u32; 2] = [6, 7];
#[cfg(not(target_arch = "x86_64"))]
const TYPES: [u32; 2] = [1025, 1026];

/// Makes loaded addons call [`HOOKS`], and returns the number of replaced entries.
pub(crate) fn replace_calls() -> u64 {
    let mut replaced = 0_u64;
    // SAFETY: the callback has the type that the call expects, and the data is a count that outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut replaced).cast()) };
    replaced
}

/// Called for each loaded object.
unsafe extern "C" fn visit(info: *mut dl_phdr_info, _size: size_t, data: *mut c_void) -> c_int {
    // SAFETY: the loader passes a valid record.
    let info = unsafe { &*info };
    // SAFETY: the data is the count of `replace_calls`, which nothing else uses meanwhile.
    let replaced = unsafe { &mut *data.cast::<u64>() };
    // SAFETY: the name of an object is a C string.
    let name = unsafe { CStr::from_ptr(info.dlpi_name) };
    if name.to_bytes().ends_with(b".node") {
        *replaced += replace_in(info);
    }
    0
}

fn replace_in(info: &dl_phdr_info) -> u64 {
    // SAFETY: the record has that many program headers.
    let headers = unsafe { slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
    let Some(header) = headers.iter().find(|header| header.p_type == libc::PT_DYNAMIC) else { return 0 };
    let dynamic = (info.dlpi_addr + header.p_vaddr) as *const Dynamic;
    let count = header.p_memsz as usize / size_of::<Dynamic>();
    // SAFETY: the segment is mapped as long as the object is loaded, and holds such records.
    let dynamic = unsafe { slice::from_raw_parts(dynamic, count) };
    let find = |tag| dynamic.iter().find(|entry| entry.tag == tag).map_or(0, |entry| entry.value);
    let (symbols, names) =
        (find(DT_SYMTAB) as *const libc::Elf64_Sym, find(DT_STRTAB) as *const libc::c_char);
    let lists = [(find(DT_RELA), find(DT_RELASZ)), (find(DT_JMPREL), find(DT_PLTRELSZ))];
    let mut replaced = 0;
    for (start, bytes) in lists.into_iter().filter(|(start, _)| *start != 0) {
        let count = bytes as usize / size_of::<Relocation>();
        // SAFETY: the loader has relocated the address of the list, which the object's segments contain.
        for relocation in unsafe { slice::from_raw_parts(start as *const Relocation, count) } {
            if !TYPES.contains(&(relocation.info as u32)) {
                continue;
            }
            // SAFETY: the index of a relocation is below the number of symbols.
            let symbol = unsafe { symbols.add((relocation.info >> 32) as usize) };
            // SAFETY: the symbol is in the table of the object.
            let offset = unsafe { (*symbol).st_name } as usize;
            // SAFETY: the name is in the string table of the object.
            let name = unsafe { names.add(offset) };
            // SAFETY: strings of that table end with a zero.
            let name = unsafe { CStr::from_ptr(name) }.to_bytes();
            if let Some((_, hook)) = HOOKS.iter().find(|(hooked, _)| hooked.as_bytes() == name) {
                replaced += u64::from(store(info.dlpi_addr + relocation.offset, *hook as usize));
            }
        }
    }
    replaced
}

/// Stores the address of a function in an entry, whose page the loader has made read-only.
fn store(entry: u64, hook: usize) -> bool {
    // SAFETY: the call has no precondition.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as u64;
    let start = (entry & !(page - 1)) as *mut c_void;
    // SAFETY: the page holds the global offset table; making it writable affects nothing that reads it.
    let result = unsafe { libc::mprotect(start, page as usize, libc::PROT_READ | libc::PROT_WRITE) };
    if result != 0 {
        return false;
    }
    // SAFETY: the entry is an aligned address of a function in a page that is writable. No other thread runs code of an
    // addon that is being loaded; for one that is loaded already, the same value is stored again.
    unsafe { (entry as *mut usize).write_volatile(hook) };
    true
}
