#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| coldplate_fuzz::upstream(data));
