//! An app that is not Python.

use super::Kind;
use crate::forge::Tree;

const UNIT: &str = include_str!("../../fixtures/perl/hello.service");

/// One version of it; its only page is `hello VERSION`.
#[derive(Debug, Clone, Copy)]
pub struct Perl(pub &'static str);

impl Perl {
    /// Its one file; the port is in the environment, the version in the file `VERSION`.
    pub const SERVER: &'static str = include_str!("../../fixtures/perl/server.pl");
}

pub(super) fn kind(name: &str) -> Kind {
    Kind {
        unit: format!("{name}.service"),
        unit_file: UNIT,
        shared: &[],
    }
}

impl From<Perl> for Tree {
    fn from(perl: Perl) -> Self {
        Tree::default()
            .file("server.pl", Perl::SERVER)
            .file("VERSION", format!("{}\n", perl.0))
            .program("deploy.sh", "#!/bin/sh\nexec perl -c server.pl\n")
    }
}
