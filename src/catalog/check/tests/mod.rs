mod answers;
mod every;
mod patterns;
mod samples;
