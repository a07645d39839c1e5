//! The bell between the keeper and one courier: it says "look into your outbox", and carries nothing that could be lost.

use crossbeam_channel::{Receiver, Sender, bounded};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The keeper's end. Dropping it tells the courier to finish.
#[derive(Debug)]
pub struct Bell {
    rope: Sender<()>,
    hurry: Arc<AtomicBool>,
}

/// The courier's end.
#[derive(Debug)]
pub struct Ear {
    pub bell: Receiver<()>,
    hurry: Arc<AtomicBool>,
}

/// One place: a bell that was rung needs no second pull.
pub fn bell() -> (Bell, Ear) {
    let (rope, bell) = bounded(1);
    let hurry = Arc::new(AtomicBool::new(false));
    (
        Bell {
            rope,
            hurry: hurry.clone(),
        },
        Ear { bell, hurry },
    )
}

impl Bell {
    /// Something may be new.
    pub fn ring(&self) {
        // Full: it is rung already. Closed: that courier is gone.
        self.rope.try_send(()).ok();
    }

    /// A person wants everything tried now, whatever the courier waits for.
    pub fn hurry(&self) {
        self.hurry.store(true, Ordering::Release);
        self.ring();
    }
}

impl Ear {
    /// Whether the courier was asked to hurry since the last time.
    pub fn is_hurried(&self) -> bool {
        self.hurry.swap(false, Ordering::AcqRel)
    }
}
