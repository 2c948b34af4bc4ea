//! Who makes a request: API tokens, which is how programs come in. Tickets and passwords are not simulated.

use super::answer::Refusal;
use super::estate::access::Access;
use super::estate::now;
use super::http::request::Request;

/// The caller's name, `USER@REALM!ID`; `None` where the request carries no credentials.
pub fn caller(access: &Access, request: &Request) -> Result<Option<String>, Refusal> {
    let Some(header) = request.header("authorization") else { return Ok(None) };
    let Some(given) = header.strip_prefix("PVEAPIToken=") else { return Ok(None) };
    let failed = || Refusal::bare(401, "Authentication failed!");
    let (id, secret) = given.split_once('=').ok_or_else(failed)?;
    let (user, token) = access.token(id).ok_or_else(failed)?;
    let alive = |expire: u64| expire == 0 || expire > now();
    // Both come from this process; what it keeps from others is not worth a constant time.
    if token.secret != secret || !user.enable || !alive(user.expire) || !alive(token.expire) {
        return Err(failed());
    }
    Ok(Some(id.to_owned()))
}
