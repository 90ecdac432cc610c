//! People: signing in, agreeing, taking back. Pages are driven as a browser without scripts drives them.

mod adding;
mod agreeing;
mod browser;
mod devices;
mod guessing;
mod nodes;
mod openid;
mod redirects;
mod registering;
mod signing_in;
mod single_use;
mod timing;
mod traps;
