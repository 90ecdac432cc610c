skip = Skip to content

footer = Identity and access for AI agents

language = Language

or = or

continue = Continue

later = Not now

rename = Rename

remove = Remove

password = Password

sign-out = Sign out
sign-out-ask = Sign out of Writ?

login-title = Sign in
login-again = Please confirm it is you
login-for = to continue to {$client}
login-passkey = Sign in with a passkey
login-passkey-failed = The passkey was not used. Try again, or choose another way.
login-name = Name or e-mail address
login-go = Continue with password
login-lost = Lost your way in?
login-lost-ask = Lost your way in? Ask an administrator for a link.

factor-title = Second step
factor-lead = Enter the code that your authenticator app shows.
factor-code = Code
factor-recovery = No app at hand? A recovery code works here, too.

recover-title = Find your way back in
recover-lead = Enter your name or e-mail address. A link goes to the address that is on record.
recover-go = Send the link

mail-subject = Your link to Writ
mail-text =
    Hello {$name},

    this link lets you in and lets you set up how you sign in. It works once, and only for a short while:

    {$url}

    If you did not ask for it, do nothing: without this link nothing changes.

join-title = Welcome to Writ
join-lead = This link is for you alone and works once. Continue to set up how you sign in.

setup-title = How you sign in
setup-lead = A passkey is quickest and cannot be phished. Your device asks for your face, finger or PIN.

passkey-name = Name of the passkey
passkey-name-first = My first passkey
passkey-make = Create a passkey
passkey-add = Add a passkey
passkey-failed = No passkey was made. Try again, or choose another way.

password-new = New password
password-rule = At least {$min} characters, and none that others guess first. A few unrelated words are good.
password-set = Set password
password-change = Change password
password-add = Add a password

totp-title = Authenticator app
totp-lead = Scan this picture with an authenticator app, then enter the code that it shows.
totp-picture = Picture for the authenticator app; the same as text follows
totp-type = Or type this into the app:
totp-confirm = Confirm

codes-title = Recovery codes
codes-lead = Each works once, when the app is not at hand. Keep them where you keep important papers: they are not shown again.
codes-kept = I have kept them
codes-new = New recovery codes ({$left} left)

consent-title = Permission
consent-agent = May {$client} act for you?
consent-as-you = May {$client} act as you?
consent-sign-in = Sign in to {$client}?
consent-client = Who asks
consent-as = Acts as agent
consent-owner = {$owner} answers for it
consent-where = Where
consent-purpose = What for
consent-instruction = You asked
consent-answer = Answer goes to
consent-unvouched = Nobody here vouches for this program: its name is its own claim.
consent-loopback = The answer goes to a program on your own computer; go on only if you have just started it yourself.
consent-all = It could do everything in Writ that you may do.
consent-learns = It learns
consent-may = It may
consent-already = You let it do this already
consent-more = It would also like to
consent-narrow = Never more than you may do yourself. Take away what it does not need.
consent-until = For how long
consent-calls = Calls at most
consent-offline = It can come back until then without asking you again.
consent-allow = Allow
consent-deny = Do not allow
consent-revoke = You can take this back at any time under “My access”.

device-title = Connect a device
device-lead = Enter the code that your device or terminal shows.
device-code = Code
device-warn = Only go on if you started this yourself. Nobody from support ever needs such a code.

account-title = My access
account-verified = verified
account-agents = Who may act for me
account-agents-none = Nobody. When an agent asks, you decide, and it shows up here.
account-since = since {$at}
account-until = until {$at}
account-revoke = Revoke
account-revoke-of = Revoke what {$client} may do
account-calls = What agents did in my name
account-calls-none = Nothing lately.
account-when = When
account-agent = Agent
account-act = What
account-outcome = Outcome
account-ways = How I sign in
account-ways-none = Nothing yet.
account-synced = synced
account-made = made {$at}
account-sessions = Where I am signed in
account-this = this one
account-seen = last used {$at}
account-end = End
account-end-others = End all others

effect-read = Read and search
effect-fetch = Fetch from outside
effect-write = Create and change
effect-send = Send to others
effect-destroy = Delete
effect-admin = Administer

scope-openid = who you are, by an id
scope-profile = your name
scope-email = your e-mail address

kind-passkey = Passkey
kind-password = Password
kind-totp = Authenticator app
kind-codes = Recovery codes

state-allowed = allowed
state-denied = denied
state-done = done
state-failed = failed
state-unknown = unknown

notice-signed-out-title = Signed out
notice-signed-out-text = You are signed out of Writ in this browser.
notice-sign-in = Sign in
notice-account = My access
notice-again = Try again
notice-device-title = Connected
notice-device-text = Go back to your device; it goes on by itself. You can close this page.
notice-refused-title = Not allowed
notice-refused-text = Nothing was given out. You can close this page.
notice-mail-title = Look into your mail
notice-mail-text = If there is an account with this address, a link is on its way to it. It works once, for 15 minutes.
notice-saved = Saved.
notice-removed = Removed.
notice-revoked = Revoked. The next call is refused.
notice-ended = Ended.

error-credentials = Name or password is wrong, or this account cannot sign in.
error-code = The code is wrong or was used already.
error-passkey = This passkey does not sign in here.
error-slow = Too many tries. Wait a moment, then try again.
error-busy = Too much is going on just now. Try again shortly.
error-password-short = The password is too short.
error-password-known = Others would guess this password early. Choose another one.
error-last-way = This is your last way in. Add another one first.
error-nothing-chosen = Choose at least one thing that it may do, or do not allow it.
error-device-code = There is no device waiting with this code. Codes work for 10 minutes.
error-link-title = This link does not work
error-link-text = It was used already, or its time is over. Ask for a new one.
error-request-title = This request cannot be answered
error-request-text = The program that sent you here made a mistake, and it is not safe to send you back. Close this page and tell whoever runs the program.
error-expired-title = This took too long
error-expired-text = Go back to where you came from and begin again.
error-origin-title = This was not sent from a page of ours
error-origin-text = For your protection nothing was done. Open the page again and repeat it there.
error-missing-title = There is nothing here
error-missing-text = The address is wrong, or what was here is gone.
error-broken-title = Something failed on our side
error-broken-text = Nothing was changed. Try again shortly.
error-denied-title = You may not allow this
error-denied-text = Ask an administrator.
