# users: ann@example.org=restante
# set: default_domain=example.org
# RFC 4616 s2: who logs in for herself may name herself, in any spelling that is the same account
S: +OK restante ready
C: AUTH PLAIN QW5uQEVYQU1QTEUub3JnAGFubgByZXN0YW50ZQ==
S: +OK 0 messages
C: QUIT
S: +OK bye
!again
S: +OK restante ready
C: AUTH PLAIN YW5uAGFubkBleGFtcGxlLm9yZwByZXN0YW50ZQ==
S: +OK 0 messages
C: QUIT
S: +OK bye
!again
S: +OK restante ready
C: AUTH PLAIN QU5OAEFubkBleGFtcGxlLk9SRwByZXN0YW50ZQ==
S: +OK 0 messages
C: QUIT
S: +OK bye
!again
S: +OK restante ready
C: AUTH PLAIN YW5uQGV4YW1wbGUub3JnAGFubkBleGFtcGxlLm9yZwByZXN0YW50ZQ==
S: +OK 0 messages
C: QUIT
S: +OK bye
!again
S: +OK restante ready
C: AUTH PLAIN YmVuAGFubgByZXN0YW50ZQ==
S: -ERR [AUTH] logging in on behalf of others is not possible
C: AUTH PLAIN YW5uQG90aGVyLmV4YW1wbGUAYW5uAHJlc3RhbnRl
S: -ERR [AUTH] logging in on behalf of others is not possible
C: AUTH PLAIN YW5uAGFubkBvdGhlci5leGFtcGxlAHJlc3RhbnRl
S: -ERR [AUTH] logging in on behalf of others is not possible
C: AUTH PLAIN QGV4YW1wbGUub3JnAGFubgByZXN0YW50ZQ==
S: -ERR [AUTH] logging in on behalf of others is not possible
C: AUTH PLAIN YW5uAEBleGFtcGxlLm9yZwByZXN0YW50ZQ==
S: -ERR [AUTH] logging in on behalf of others is not possible
C: AUTH PLAIN YW5uIABhbm4AcmVzdGFudGU=
S: -ERR [AUTH] logging in on behalf of others is not possible
C: QUIT
S: +OK bye
!end
