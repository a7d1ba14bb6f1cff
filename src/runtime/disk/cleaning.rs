//! Goes through old segments: what of them still counts is logged once more, and then they count no more. What this run
//! wrote the engine has a list of; what earlier runs wrote is read again, a piece a turn.

use super::LoadError;
use super::reader::Reader;
use crate::engine::Engine;
use crate::log::{Account, Due, Elder, Elders};
use std::path::Path;

/// See the module. Which segments, and how far, is the elders' to say.
pub struct Cleaning {
    pub elders: Elders,
    /// Of a segment that has to be read.
    reader: Option<Reader>,
}

impl Cleaning {
    /// Begins the first age.
    pub fn new(elders: Elders, engine: &mut Engine) -> Cleaning {
        engine.begin_age(Elders::AGE_FIRST);
        Cleaning { elders, reader: None }
    }

    /// A segment has begun, and with it an age.
    pub fn begin_age(&mut self, engine: &mut Engine) {
        engine.begin_age(self.elders.begin_age());
    }

    /// Cleans for a while, if there is too much.
    pub fn turn(&mut self, engine: &mut Engine, dir: &Path, account: &Account) {
        match self.elders.turn(account) {
            Due::Nothing => {}
            Due::Forget(elder) => {
                if !elder.is_earlier() {
                    engine.forget_segment(elder.name.number);
                }
            }
            Due::GoThrough(elder, bytes) => match self.go_through(engine, dir, &elder, bytes) {
                Ok(false) => {}
                // What was noted just now is in the next frame.
                Ok(true) => self.elders.gone_through(engine.log_position()),
                Err(error) => {
                    log::error!("the log cannot be cleaned, and grows: {error}");
                    self.reader = None;
                    self.elders.stick();
                }
            },
        }
    }

    /// True at the end of it.
    fn go_through(&mut self, engine: &mut Engine, dir: &Path, elder: &Elder, bytes: u64) -> Result<bool, LoadError> {
        let number = elder.name.number;
        let listed =
            (!elder.is_earlier()).then(|| engine.renew_listed(elder.age, number, bytes, elder.bytes)).flatten();
        match listed {
            Some(is_through) => Ok(is_through),
            // It was made and never begun, or its first frame was torn: nothing in it counts.
            None if elder.frames == 0 => Ok(true),
            None => self.read(engine, dir, elder, bytes),
        }
    }

    /// All frames that were loaded have to be there: what has been damaged at its end since then nothing behind it in the
    /// file can tell from a torn end.
    fn read(&mut self, engine: &mut Engine, dir: &Path, elder: &Elder, bytes: u64) -> Result<bool, LoadError> {
        let mut reader = match self.reader.take() {
            Some(reader) => reader,
            None => Reader::open(dir, elder.name)?,
        };
        if !reader.read(bytes, |frame| engine.renew(elder.age, frame.records()))? {
            self.reader = Some(reader);
            return Ok(false);
        }
        let (found, expected) = (reader.frames(), elder.frames);
        if found != expected {
            return Err(LoadError::Frames { path: reader.path.clone(), expected, found });
        }
        reader.close();
        Ok(true)
    }
}
