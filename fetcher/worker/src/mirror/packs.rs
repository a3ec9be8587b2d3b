//! Reads objects from the mirror's packs, in Rust and without libgit2: most of a checkout's time is inflating, for which
//! gix-zlib has a quicker library than zlib. The mirror has no object outside of its packs, and each pack holds the
//! bases of its deltas.

use std::path::{Path, PathBuf};

use git2::Oid;
use gix_hash::oid;
use gix_pack::Bundle;
use gix_pack::cache::DecodeEntry;
use gix_pack::cache::lru::MemoryCappedHashmap;
use gix_pack::data::Entry;
use gix_pack::data::decode::{entry, header};
use gix_zlib::Inflate;
use pp_objects::Kind;

use super::{MirrorError, sweep};

/// Limit of the memory for one object: gix-pack takes twice the longest object of a chain of deltas, and the deltas.
pub(super) const MOST_MEMORY: usize = 2 << 30;

/// Limit of the memory in which a reader keeps the bases of deltas. Neighbours often share one.
const CACHED: usize = 16 << 20;

/// The packs of a mirror, mapped into memory. Threads may share them.
pub(crate) struct Packs {
    mirror: PathBuf,
    packs: Vec<Bundle>,
}

/// Reads from [`Packs`], one object at a time. Each thread has its own.
pub(crate) struct PackReader<'a> {
    packs: &'a Packs,
    inflate: Inflate,
    bases: Box<dyn DecodeEntry>,
    object: Vec<u8>,
}

impl Packs {
    /// Opens the packs of the mirror at `mirror`, and those in the directory `history`.
    ///
    /// # Errors
    /// [`MirrorError::Broken`] if a pack or an index cannot be read.
    pub(crate) fn open(mirror: &Path, history: Option<&Path>) -> Result<Self, MirrorError> {
        let open = |index: PathBuf| {
            let bundle = Bundle::at(&index, gix_hash::Kind::Sha1);
            let Bundle { pack, index } = bundle.map_err(|error| MirrorError::Broken {
                path: mirror.to_owned(),
                why: error.to_string(),
            })?;
            let pack = pack.with_alloc_limit_bytes(Some(MOST_MEMORY));
            Ok(Bundle { pack, index })
        };
        let mut indexes = sweep::indexes(&mirror.join("objects/pack"))?;
        if let Some(history) = history {
            indexes.extend(sweep::indexes(history)?);
        }
        let packs = indexes.into_iter().map(open);
        Ok(Self {
            mirror: mirror.to_owned(),
            packs: packs.collect::<Result<_, MirrorError>>()?,
        })
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
    fn find(&self, id: Oid) -> Result<(&Bundle, Entry), MirrorError> {
        let wanted = oid::try_from_bytes(id.as_bytes());
        let wanted = wanted.map_err(|error| self.unreadable(id, error))?;
        let find = |bundle| Some((bundle, entry_of(bundle, wanted)?));
        let found = self.packs.iter().find_map(find);
        found.ok_or_else(|| self.unreadable(id, "no pack has it"))
    }

    fn unreadable(&self, id: Oid, why: impl ToString) -> MirrorError {
        MirrorError::Object {
            path: self.mirror.clone(),
            id,
            why: why.to_string(),
        }
    }
}

impl PackReader<'_> {
    /// Returns the size of an object of this kind without inflating the object.
    ///
    /// # Errors
    /// [`MirrorError::Object`] if the object is not there, cannot be read, or is of another kind.
    pub(crate) fn size(&mut self, id: Oid, wanted: Kind) -> Result<u64, MirrorError> {
        let (bundle, entry) = self.packs.find(id)?;
        self.size_of(id, bundle, entry, wanted)
    }

    fn size_of(
        &mut self,
        id: Oid,
        bundle: &Bundle,
        entry: Entry,
        wanted: Kind,
    ) -> Result<u64, MirrorError> {
        let base = |base: &oid| Ok(entry_of(bundle, base).map(header::ResolvedBase::InPack));
        let read = bundle.pack.decode_header(entry, &mut self.inflate, &base);
        let read = read.map_err(|error| self.packs.unreadable(id, error))?;
        if read.kind.as_bytes() != wanted.as_str().as_bytes() {
            let why = format!("the object is a {}, not a {}", read.kind, wanted.as_str());
            return Err(self.packs.unreadable(id, why));
        }
        Ok(read.object_size)
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
        let (bundle, entry) = self.packs.find(id)?;
        if self.size_of(id, bundle, entry.clone(), wanted)? > most as u64 {
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
        Ok(&self.object)
    }
}

fn entry_of(bundle: &Bundle, id: &oid) -> Option<Entry> {
    let place = bundle.index.lookup(id)?;
    let offset = bundle.index.pack_offset_at_index(place);
    bundle.pack.entry(offset).ok()
}
