//! `read`: any GET of the node's API, by path or in words.
mod columns;
mod filter;
mod fit;
mod page;
mod rows;
