# mail: ann=plain
# set: takeover=3600
# RFC 2449 s8.1.2: the maildrop is exclusive; the lock is released before the answer to QUIT
S: +OK restante ready
C: USER ann
S: +OK send PASS
C: PASS restante
S: +OK 1 message
C: QUIT
S: +OK bye
!again
S: +OK restante ready
C: USER ann
S: +OK send PASS
C: PASS restante
S: +OK 1 message
C: QUIT
S: +OK bye
