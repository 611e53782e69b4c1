//! The files below a directory, as git sees them: hidden ones are in, what `.gitignore` names is not, nor is git's
//! own folder. Symbolic links are not followed: what they point to is scanned where it is, or is not asked for.
//!
//! Pipes, sockets and devices are left out, because reading one may never end. A file that was added to git
//! although it is ignored is left out as well; whoever names it gets it scanned.

use std::path::{Path, PathBuf};

use ignore::WalkBuilder;

/// Whether `.gitignore` counts, and git's other lists of what is ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IgnoreFiles {
    /// It does, within a git repository.
    Honour,
    /// It does not.
    Disregard,
}

/// The files below `directory`, in the order of their names. A folder that cannot be read is an error in between.
pub fn files(directory: &Path, ignore_files: IgnoreFiles) -> impl Iterator<Item = Result<PathBuf, ignore::Error>> {
    let honour = ignore_files == IgnoreFiles::Honour;
    WalkBuilder::new(directory)
        .hidden(false)
        // `.ignore` is for searching; it must not hide from us what git would publish.
        .ignore(false)
        .git_ignore(honour)
        .git_exclude(honour)
        .git_global(honour)
        .parents(honour)
        .follow_links(false)
        .filter_entry(|entry| entry.depth() == 0 || entry.file_name() != ".git")
        .sort_by_file_name(Ord::cmp)
        .build()
        .filter_map(|entry| match entry {
            Ok(entry) => entry.file_type().is_some_and(|kind| kind.is_file()).then(|| Ok(entry.into_path())),
            Err(error) => Some(Err(error)),
        })
}
