# mail: ann=plain,two-lines
# RFC 1939 s5 s6: numbers never shift, deletions happen at QUIT only
S: +OK restante ready
C: USER ann
S~ \+OK.*
C: PASS restante
S: +OK 2 messages
C: DELE 1
S~ \+OK .*
C: DELE 1
S: -ERR no such message
C: RETR 1
S: -ERR no such message
C: TOP 1 1
S: -ERR no such message
C: LIST 1
S: -ERR no such message
C: UIDL 1
S: -ERR no such message
C: UIDL
S~ \+OK.*
S~ 2 \S+
S: .
!close
!again
S: +OK restante ready
C: USER ann
S~ \+OK.*
C: PASS restante
S: +OK 2 messages
C: DELE 2
S~ \+OK.*
C: QUIT
S: +OK bye
!again
S: +OK restante ready
C: USER ann
S~ \+OK.*
C: PASS restante
S: +OK 1 message
C: QUIT
S: +OK bye
!end
