//! The estate: what is read out of an /etc/pve tree, what is asked of it, and what a tree can do to its reader.

mod blast;
mod hostile;
mod moving;
mod property;
mod real;
mod sim;
mod tree;
