mod answers;
mod every;
mod patterns;
mod samples;

pub(crate) use every::required;
