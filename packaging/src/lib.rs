//! Manual pages and completions, from the definitions the programs parse with.
