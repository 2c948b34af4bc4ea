mod answers;
mod every;
mod formats;
mod patterns;
mod samples;

pub(crate) use every::required;
