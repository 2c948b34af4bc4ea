//! The finder of a catalogue, made when it is first asked for: a daemon that nobody asks holds none.

use std::sync::{Arc, Mutex, PoisonError};

use super::Finder;
use crate::catalog::Catalog;

/// Keeps the finder of the catalogue that was last searched.
#[derive(Default)]
pub struct Finders(Mutex<Option<(Arc<Catalog>, Arc<Finder>)>>);

impl Finders {
    /// The finder of this catalogue.
    pub fn of(&self, catalog: &Arc<Catalog>) -> Arc<Finder> {
        // A panic elsewhere cannot leave half a finder.
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, finder)) = &*kept
            && Arc::ptr_eq(of, catalog)
        {
            return finder.clone();
        }
        let finder = Arc::new(Finder::new(catalog));
        *kept = Some((catalog.clone(), finder.clone()));
        finder
    }
}
