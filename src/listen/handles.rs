//! File handles belong to the whole process. When none is left and somebody wants to see what is wrong, whatever becomes
//! free goes to the admin listener first.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::io::Errno;

/// Between two looks at whether handles may be taken again.
const GLANCE: Duration = Duration::from_millis(20);

static WANTED: AtomicBool = AtomicBool::new(false);

/// Whether the process or the system has no file handle left.
pub fn is_out_of_handles(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    code.is_some_and(|code| [Errno::MFILE, Errno::NFILE].iter().any(|errno| errno.raw_os_error() == code))
}

/// Asks all others to leave handles alone (`true`), until there is no need any more.
pub fn want_handles(wanted: bool) {
    WANTED.store(wanted, Ordering::Relaxed);
}

/// Waits until handles may be taken. Costs a look at a flag that hardly ever is set.
pub async fn handles_are_free() {
    while WANTED.load(Ordering::Relaxed) {
        tokio::time::sleep(GLANCE).await;
    }
}
