//! Reads objects from the mirror's packs, in Rust and without libgit2: most of a checkout's time is inflating, for which
//! gix-zlib has a quicker library than zlib, and libgit2 makes up the text of an error for each object that is not there.
//! The mirror has no object outside of its packs, and each pack holds the bases of its deltas.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use git2::Oid;
use gix_hash::oid;
use gix_pack::Bundle;
use gix_pack::cache::DecodeEntry;
use gix_pack::cache::lru::MemoryCappedHashmap;
use gix_pack::data::Entry;
use gix_pack::data::decode::{entry, header};
use gix_zlib::Inflate;
use pp_objects::Kind;

use super::{MirrorError, OBJECTS, PACKS, broken, sweep};

/// Limit of the memory for one object: gix-pack takes twice the longest object of a chain of deltas, and the deltas.
pub(super) const MOST_MEMORY: usize = 2 << 30;

/// Limit of the memory in which a reader keeps the bases of deltas. Neighbours often share one.
const CACHED: usize = 16 << 20;

/// The packs of a mirror, mapped into memory. Threads may share them.
pub(crate) struct Packs {
    mirror: PathBuf,
    /// The mirror's own.
    own: Arc<[Bundle]>,
    /// Packs that lie beside the mirror.
    beside: Vec<Bundle>,
}

/// Reads from [`Packs`], one object at a time. Each thread has its own.
pub(crate) struct PackReader<'a> {
    packs: &'a Packs,
    inflate: Inflate,
    bases: Box<dyn DecodeEntry>,
    object: Vec<u8>,
}

impl Packs {
    /// Opens the packs of the mirror at `mirror`.
    ///
    /// # Errors
    /// [`MirrorError::Broken`] if a pack or an index cannot be read.
    pub(super) fn open(mirror: &Path) -> Result<Self, MirrorError> {
        Ok(Self {
            mirror: mirror.to_owned(),
            own: bundles(mirror, &mirror.join(OBJECTS).join(PACKS))?.into(),
            beside: Vec::new(),
        })
    }

    /// Returns the mirror's packs together with those in the directory `beside`.
    ///
    /// # Errors
    /// [`MirrorError::Broken`] if a pack or an index there cannot be read.
    pub(super) fn with(&self, beside: &Path) -> Result<Self, MirrorError> {
        Ok(Self {
            mirror: self.mirror.clone(),
            own: Arc::clone(&self.own),
            beside: bundles(&self.mirror, beside)?,
        })
    }

    /// Returns whether the mirror has packs of its own.
    pub(super) fn is_empty(&self) -> bool {
        self.own.is_empty()
    }

    /// Returns whether the object is in a pack of the mirror's own.
    pub(super) fn holds(&self, id: Oid) -> bool {
        find(self.own.iter(), id).is_some()
    }

    /// Returns whether the object is in any of these packs.
    pub(super) fn has(&self, id: Oid) -> bool {
        self.find(id).is_some()
    }

    /// Returns a reader of these packs.
    pub(crate) fn reader(&self) -> PackReader<'_> {
        PackReader {
            packs: self,
            inflate: Inflate::default(),
            bases: Box::new(MemoryCappedHashmap::new(CACHED)),
            object: Vec::new(),
        }
    }

    /// Returns the pack that has the object, and the object's entry in it.
    fn find(&self, id: Oid) -> Option<(&Bundle, Entry)> {
        find(self.own.iter().chain(&self.beside), id)
    }

    fn found(&self, id: Oid) -> Result<(&Bundle, Entry), MirrorError> {
        self.find(id).ok_or_else(|| self.absent(id))
    }

    pub(super) fn absent(&self, id: Oid) -> MirrorError {
        self.unreadable(id, "no pack has it")
    }

    pub(super) fn unreadable(&self, id: Oid, why: impl ToString) -> MirrorError {
        MirrorError::Object {
            path: self.mirror.clone(),
            id,
            why: why.to_string(),
        }
    }
}

impl<'a> PackReader<'a> {
    /// Returns the packs that this reader reads from.
    pub(super) fn packs(&self) -> &'a Packs {
        self.packs
    }

    /// Returns the size of an object of this kind without inflating the object.
    ///
    /// # Errors
    /// [`MirrorError::Object`] if the object is not there, cannot be read, or is of another kind.
    pub(crate) fn size(&mut self, id: Oid, wanted: Kind) -> Result<u64, MirrorError> {
        let (bundle, entry) = self.packs.found(id)?;
        let (kind, size) = self.head(id, bundle, entry)?;
        self.check_kind(id, kind, wanted)?;
        Ok(size)
    }

    /// Returns the kind of an object without inflating the object.
    ///
    /// # Errors
    /// [`MirrorError::Object`] if the object is not there, or cannot be read.
    pub(super) fn kind(&mut self, id: Oid) -> Result<gix_object::Kind, MirrorError> {
        let (bundle, entry) = self.packs.found(id)?;
        Ok(self.head(id, bundle, entry)?.0)
    }

    /// Returns the content of an object, which must be of this kind and no longer than `most` bytes.
    ///
    /// # Errors
    /// [`MirrorError::Object`] if the object is not there, cannot be read, or is another one.
    pub(crate) fn read(
        &mut self,
        id: Oid,
        wanted: Kind,
        most: usize,
    ) -> Result<&[u8], MirrorError> {
        self.load(id, most, Some(wanted))?;
        Ok(&self.object)
    }

    /// Returns the kind and the content of an object, which must be no longer than `most` bytes.
    ///
    /// # Errors
    /// [`MirrorError::Object`] if the object is not there, cannot be read, or is too long.
    pub(super) fn read_any(
        &mut self,
        id: Oid,
        most: usize,
    ) -> Result<(gix_object::Kind, &[u8]), MirrorError> {
        let kind = self.load(id, most, None)?;
        Ok((kind, &self.object))
    }

    /// Inflates an object into [`Self::object`]. An object of another kind than the wanted one is not inflated.
    fn load(
        &mut self,
        id: Oid,
        most: usize,
        wanted: Option<Kind>,
    ) -> Result<gix_object::Kind, MirrorError> {
        let (bundle, entry) = self.packs.found(id)?;
        let (kind, size) = self.head(id, bundle, entry.clone())?;
        if let Some(wanted) = wanted {
            self.check_kind(id, kind, wanted)?;
        }
        if size > most as u64 {
            return Err(self.packs.unreadable(id, "the object is too long"));
        }
        let base = |base: &oid, _: &mut Vec<u8>| {
            Ok(entry_of(bundle, base).map(entry::ResolvedBase::InPack))
        };
        let (object, inflate) = (&mut self.object, &mut self.inflate);
        let bases = &mut *self.bases;
        let read = bundle
            .pack
            .decode_entry(entry, object, inflate, &base, bases);
        read.map_err(|error| self.packs.unreadable(id, error))?;
        Ok(kind)
    }

    /// Returns an object's kind and size, neither of which is in a delta.
    fn head(
        &mut self,
        id: Oid,
        bundle: &Bundle,
        entry: Entry,
    ) -> Result<(gix_object::Kind, u64), MirrorError> {
        let base = |base: &oid| Ok(entry_of(bundle, base).map(header::ResolvedBase::InPack));
        let read = bundle.pack.decode_header(entry, &mut self.inflate, &base);
        let read = read.map_err(|error| self.packs.unreadable(id, error))?;
        Ok((read.kind, read.object_size))
    }

    fn check_kind(&self, id: Oid, kind: gix_object::Kind, wanted: Kind) -> Result<(), MirrorError> {
        if kind.as_bytes() == wanted.as_str().as_bytes() {
            return Ok(());
        }
        let why = format!("the object is a {kind}, not a {}", wanted.as_str());
        Err(self.packs.unreadable(id, why))
    }
}

/// Opens the packs in `directory`.
fn bundles(mirror: &Path, directory: &Path) -> Result<Vec<Bundle>, MirrorError> {
    let open = |index: PathBuf| {
        let bundle = Bundle::at(&index, gix_hash::Kind::Sha1);
        let Bundle { pack, index } = bundle.map_err(|error| broken(mirror, error))?;
        let pack = pack.with_alloc_limit_bytes(Some(MOST_MEMORY));
        Ok(Bundle { pack, index })
    };
    let indexes = sweep::indexes(directory)?;
    indexes.into_iter().map(open).collect()
}

fn find<'a>(mut packs: impl Iterator<Item = &'a Bundle>, id: Oid) -> Option<(&'a Bundle, Entry)> {
    let wanted = oid::try_from_bytes(id.as_bytes()).ok()?;
    packs.find_map(|bundle| Some((bundle, entry_of(bundle, wanted)?)))
}

fn entry_of(bundle: &Bundle, id: &oid) -> Option<Entry> {
    let place = bundle.index.lookup(id)?;
    let offset = bundle.index.pack_offset_at_index(place);
    bundle.pack.entry(offset).ok()
}
