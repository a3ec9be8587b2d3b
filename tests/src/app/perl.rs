//! An app that is not Python.

use super::Kind;
use crate::forge::Tree;

const SERVER: &str = include_str!("../../fixtures/perl/server.pl");
const UNIT: &str = include_str!("../../fixtures/perl/hello.service");

/// One version of it; its only page is `hello VERSION`.
#[derive(Debug, Clone, Copy)]
pub struct Perl(pub &'static str);

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
            .file("server.pl", SERVER)
            .file("VERSION", format!("{}\n", perl.0))
            .program("deploy.sh", "#!/bin/sh\nexec perl -c server.pl\n")
    }
}
