skip = Zum Inhalt

footer = Identität und Zugriff für KI-Agenten

language = Sprache

or = oder

continue = Weiter

later = Jetzt nicht

rename = Umbenennen

remove = Entfernen

password = Passwort

sign-out = Abmelden
sign-out-ask = Von Writ abmelden?

login-title = Anmelden
login-again = Bitte bestätigen Sie, dass Sie es sind
login-for = um mit {$client} fortzufahren
login-passkey = Mit Passkey anmelden
login-passkey-failed = Der Passkey wurde nicht verwendet. Versuchen Sie es erneut oder wählen Sie einen anderen Weg.
login-name = Name oder E-Mail-Adresse
login-go = Mit Passwort fortfahren
login-lost = Kein Zugang mehr?
login-lost-ask = Kein Zugang mehr? Bitten Sie die Administration um einen Link.

factor-title = Zweiter Schritt
factor-lead = Geben Sie den Code ein, den Ihre Authenticator-App zeigt.
factor-code = Code
factor-recovery = App nicht zur Hand? Hier gilt auch ein Wiederherstellungscode.

recover-title = Zurück zu Ihrem Zugang
recover-lead = Geben Sie Ihren Namen oder Ihre E-Mail-Adresse ein. Ein Link geht an die hinterlegte Adresse.
recover-go = Link senden

mail-subject = Ihr Link zu Writ
mail-text =
    Guten Tag {$name},

    mit diesem Link kommen Sie hinein und richten ein, wie Sie sich anmelden. Er gilt einmal und nur für kurze Zeit:

    {$url}

    Falls Sie nicht darum gebeten haben, tun Sie nichts: Ohne diesen Link ändert sich nichts.

join-title = Willkommen bei Writ
join-lead = Dieser Link ist nur für Sie und gilt einmal. Richten Sie nun ein, wie Sie sich anmelden.

setup-title = Wie Sie sich anmelden
setup-lead = Ein Passkey geht am schnellsten und kann nicht abgefischt werden. Ihr Gerät fragt nach Gesicht, Finger oder PIN.

passkey-name = Name des Passkeys
passkey-name-first = Mein erster Passkey
passkey-make = Passkey erstellen
passkey-add = Passkey hinzufügen
passkey-failed = Es wurde kein Passkey erstellt. Versuchen Sie es erneut oder wählen Sie einen anderen Weg.

password-new = Neues Passwort
password-rule = Mindestens {$min} Zeichen, und keines, das andere zuerst raten. Ein paar Wörter ohne Zusammenhang sind gut.
password-set = Passwort festlegen
password-change = Passwort ändern
password-add = Passwort hinzufügen

totp-title = Authenticator-App
totp-lead = Scannen Sie dieses Bild mit einer Authenticator-App und geben Sie den Code ein, den sie zeigt.
totp-picture = Bild für die Authenticator-App; dasselbe folgt als Text
totp-type = Oder geben Sie dies in die App ein:
totp-confirm = Bestätigen

codes-title = Wiederherstellungscodes
codes-lead = Jeder gilt einmal, wenn die App nicht zur Hand ist. Bewahren Sie sie wie wichtige Papiere auf: Sie werden nicht noch einmal gezeigt.
codes-kept = Ich habe sie aufbewahrt
codes-new = Neue Wiederherstellungscodes ({$left} übrig)

consent-title = Erlaubnis
consent-agent = Darf {$client} für Sie handeln?
consent-as-you = Darf {$client} als Sie handeln?
consent-sign-in = Bei {$client} anmelden?
consent-client = Wer fragt
consent-as = Handelt als Agent
consent-owner = {$owner} steht dafür ein
consent-where = Wo
consent-purpose = Wofür
consent-instruction = Sie baten um
consent-answer = Antwort geht an
consent-unvouched = Niemand hier bürgt für dieses Programm: Seinen Namen hat es selbst angegeben.
consent-loopback = Die Antwort geht an ein Programm auf Ihrem eigenen Computer; fahren Sie nur fort, wenn Sie es eben selbst gestartet haben.
consent-all = Es könnte in Writ alles tun, was Sie dürfen.
consent-learns = Es erfährt
consent-may = Es darf
consent-already = Das haben Sie ihm schon erlaubt
consent-more = Es möchte außerdem
consent-narrow = Nie mehr, als Sie selbst dürfen. Nehmen Sie weg, was es nicht braucht.
consent-until = Wie lange
consent-calls = Höchstens Aufrufe
consent-offline = Bis dahin kann es wiederkommen, ohne Sie noch einmal zu fragen.
consent-allow = Erlauben
consent-deny = Nicht erlauben
consent-revoke = Sie können das jederzeit unter „Mein Zugang“ zurücknehmen.

device-title = Gerät verbinden
device-lead = Geben Sie den Code ein, den Ihr Gerät oder Terminal zeigt.
device-code = Code
device-warn = Fahren Sie nur fort, wenn Sie dies selbst begonnen haben. Kein Support braucht je einen solchen Code.

account-title = Mein Zugang
account-verified = bestätigt
account-agents = Wer für mich handeln darf
account-agents-none = Niemand. Wenn ein Agent fragt, entscheiden Sie, und er erscheint hier.
account-since = seit {$at}
account-until = bis {$at}
account-revoke = Widerrufen
account-revoke-of = Widerrufen, was {$client} darf
account-calls = Was Agenten in meinem Namen taten
account-calls-none = In letzter Zeit nichts.
account-when = Wann
account-agent = Agent
account-act = Was
account-outcome = Ergebnis
account-ways = Wie ich mich anmelde
account-ways-none = Noch nichts.
account-synced = synchronisiert
account-made = erstellt {$at}
account-sessions = Wo ich angemeldet bin
account-this = diese
account-seen = zuletzt benutzt {$at}
account-end = Beenden
account-end-others = Alle anderen beenden

effect-read = Lesen und suchen
effect-fetch = Von außen holen
effect-write = Anlegen und ändern
effect-send = An andere senden
effect-destroy = Löschen
effect-admin = Verwalten

scope-openid = wer Sie sind, durch eine Kennung
scope-profile = Ihren Namen
scope-email = Ihre E-Mail-Adresse

kind-passkey = Passkey
kind-password = Passwort
kind-totp = Authenticator-App
kind-codes = Wiederherstellungscodes

state-allowed = erlaubt
state-denied = verweigert
state-done = getan
state-failed = gescheitert
state-unknown = unbekannt

notice-signed-out-title = Abgemeldet
notice-signed-out-text = Sie sind in diesem Browser von Writ abgemeldet.
notice-sign-in = Anmelden
notice-account = Mein Zugang
notice-again = Erneut versuchen
notice-device-title = Verbunden
notice-device-text = Gehen Sie zurück zu Ihrem Gerät; es macht von selbst weiter. Sie können diese Seite schließen.
notice-refused-title = Nicht erlaubt
notice-refused-text = Es wurde nichts herausgegeben. Sie können diese Seite schließen.
notice-mail-title = Sehen Sie in Ihre E-Mail
notice-mail-text = Falls es ein Konto mit dieser Adresse gibt, ist ein Link dorthin unterwegs. Er gilt einmal, 15 Minuten lang.
notice-saved = Gespeichert.
notice-removed = Entfernt.
notice-revoked = Widerrufen. Der nächste Aufruf wird verweigert.
notice-ended = Beendet.

error-credentials = Name oder Passwort ist falsch, oder dieses Konto kann sich nicht anmelden.
error-code = Der Code ist falsch oder wurde schon benutzt.
error-passkey = Mit diesem Passkey ist hier keine Anmeldung möglich.
error-slow = Zu viele Versuche. Warten Sie einen Moment und versuchen Sie es dann erneut.
error-busy = Gerade ist zu viel los. Versuchen Sie es gleich noch einmal.
error-password-short = Das Passwort ist zu kurz.
error-password-known = Dieses Passwort würden andere früh erraten. Wählen Sie ein anderes.
error-last-way = Das ist Ihr letzter Zugang. Fügen Sie erst einen anderen hinzu.
error-nothing-chosen = Wählen Sie mindestens etwas, das es darf, oder erlauben Sie es nicht.
error-device-code = Mit diesem Code wartet kein Gerät. Codes gelten 10 Minuten.
error-link-title = Dieser Link funktioniert nicht
error-link-text = Er wurde schon benutzt, oder seine Zeit ist um. Bitten Sie um einen neuen.
error-request-title = Diese Anfrage kann nicht beantwortet werden
error-request-text = Das Programm, das Sie hierher geschickt hat, hat einen Fehler gemacht, und es ist nicht sicher, Sie zurückzuschicken. Schließen Sie diese Seite und geben Sie den Verantwortlichen Bescheid.
error-expired-title = Das hat zu lange gedauert
error-expired-text = Gehen Sie dorthin zurück, woher Sie kamen, und beginnen Sie von vorn.
error-origin-title = Das wurde nicht von einer unserer Seiten gesendet
error-origin-text = Zu Ihrem Schutz wurde nichts getan. Öffnen Sie die Seite erneut und wiederholen Sie es dort.
error-missing-title = Hier ist nichts
error-missing-text = Die Adresse ist falsch, oder was hier war, ist fort.
error-broken-title = Auf unserer Seite ist etwas gescheitert
error-broken-text = Es wurde nichts geändert. Versuchen Sie es gleich noch einmal.
error-denied-title = Das dürfen Sie nicht erlauben
error-denied-text = Fragen Sie die Administration.
