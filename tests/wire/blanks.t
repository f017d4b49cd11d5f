# mail: ann=plain
# a blank after a command or its arguments is read over, as some clients send it with each; a password keeps its own
S: +OK restante ready
C: CAPA\x20
S. UIDL
C: CAPA\x20\x20\x20
S. UIDL
C: AUTH\x20
S~ \+OK.*
S. PLAIN
C: AUTH PLAIN AGFubgByZXN0YW50ZQ==\x20
S: +OK 1 message
C: QUIT\x20\x20
S: +OK bye
!again
S: +OK restante ready
C: USER ann
S~ \+OK.*
C: PASS restante
S: +OK 1 message
C: STAT\x20
S~ \+OK 1 .*
C: LIST\x20
S~ \+OK.*
S. *
C: LIST 1\x20
S~ \+OK 1 .*
C: UIDL\x20
S~ \+OK.*
S. *
C: UIDL 1\x20\x20
S~ \+OK 1 .*
C: RETR 1\x20
S~ \+OK.*
S. *
C: TOP 1 0\x20
S~ \+OK.*
S. *
C: NOOP\x20
S: +OK
C: DELE 1\x20
S~ \+OK.*
C: RSET\x20
S~ \+OK.*
C: TOP 1\x20
S: -ERR TOP needs a message and a number of lines
C: RETR\x20
S: -ERR RETR needs a message number
C: LIST  1
S: -ERR LIST takes one message number or none
C: NOOP \x09
S~ -ERR.*
C: quit\x20
S: +OK bye
!end
