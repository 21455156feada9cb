//! What parent and child process agree on: the command line, the frames, and the exit codes.

use std::time::Duration;

/// The first argument of a program that is started to compile.
pub(super) const COMMAND: &str = "compile";

/// The limits of a child process, which are its last argument: they must be in force before it reads anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    /// Address space, in bytes.
    pub(super) memory: u64,
    /// Processor time, in seconds.
    pub(super) seconds: u64,
}

/// Begins the argument, so that a program's own command `compile` is not taken for it.
const MARK: &str = "portcullis-bounds:";

impl Bounds {
    pub(super) fn new(memory: u64, time: Duration) -> Self {
        let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
        Bounds { memory, seconds: seconds.max(1) }
    }

    pub(super) fn argument(self) -> String {
        format!("{MARK}{}:{}", self.memory, self.seconds)
    }

    pub(super) fn parse(argument: &str) -> Option<Self> {
        let (memory, seconds) = argument.strip_prefix(MARK)?.split_once(':')?;
        Some(Bounds { memory: memory.parse().ok()?, seconds: seconds.parse().ok()? })
    }
}

/// Begins a request: it changes with the format of requests and answers.
pub(super) const MAGIC: [u8; 8] = *b"pcc/0001";
/// The length of a request before the component: [`MAGIC`], the key, the most bytes of an answer, and the length of the
/// component, both as `u64` in little-endian order.
pub(super) const REQUEST_HEAD: usize = 8 + 32 + 8 + 8;
/// The length of an answer before the machine code: the tag, and a byte of [`Confinement`].
pub(super) const ANSWER_HEAD: usize = super::seal::TAG + 1;
/// The context of an answer's tag.
pub(super) const CONTEXT: &[u8] = b"portcullis compiled component";

/// Exit codes. A panic exits with 101.
pub(super) mod exit {
    /// The component does not fit the contract. The reason is on standard error, as for the next ones.
    pub(in super::super) const UNFIT: i32 = 10;
    /// The component can't be compiled.
    pub(in super::super) const UNCOMPILABLE: i32 = 11;
    /// Memory that was asked for could not be had.
    pub(in super::super) const OUT_OF_MEMORY: i32 = 12;
    /// There is more machine code than asked for.
    pub(in super::super) const TOO_MUCH_CODE: i32 = 13;
    /// The child could not limit itself, and read nothing.
    pub(in super::super) const UNLIMITED: i32 = 20;
    /// The request can't be read, or the answer not be written.
    pub(in super::super) const BROKEN: i32 = 21;
    /// A panic, as Rust has it.
    pub(in super::super) const PANIC: i32 = 101;
}

/// What a child process that compiles gave up, besides memory and processor time, which it always limits.
///
/// What is missing here the kernel does not support or does not permit. Then a defect of the compiler, which a component
/// would have to exploit, is stopped by less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Confinement {
    /// It can't gain privileges.
    pub no_new_privileges: bool,
    /// Landlock: it can't open files, connect, or signal other processes, as far as the kernel's version can enforce it.
    pub landlock: bool,
    /// seccomp: it is killed if it makes any other system call than a compiler needs, or asks for executable memory.
    pub seccomp: bool,
}

impl Confinement {
    /// Whether everything is in force.
    pub fn is_complete(&self) -> bool {
        self.no_new_privileges && self.landlock && self.seccomp
    }

    pub(super) fn to_byte(self) -> u8 {
        u8::from(self.no_new_privileges) | u8::from(self.landlock) << 1 | u8::from(self.seccomp) << 2
    }

    pub(super) fn from_byte(byte: u8) -> Self {
        Confinement { no_new_privileges: byte & 1 != 0, landlock: byte & 2 != 0, seccomp: byte & 4 != 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_argument_is_parsed_as_it_is_written() {
        let bounds = Bounds::new(256 << 20, Duration::from_millis(9001));
        assert_eq!(bounds.argument(), "portcullis-bounds:268435456:10");
        assert_eq!(Bounds::parse(&bounds.argument()), Some(bounds));
        for text in
            ["", "268435456:10", "portcullis-bounds:1", "portcullis-bounds:1:", "portcullis-bounds:-1:2"]
        {
            assert_eq!(Bounds::parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_was_given_up_fits_into_a_byte() {
        for byte in 0..8 {
            assert_eq!(Confinement::from_byte(byte).to_byte(), byte);
        }
        assert!(Confinement::from_byte(7).is_complete() && !Confinement::from_byte(6).is_complete());
    }
}
