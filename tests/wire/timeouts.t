# mail: ann=plain
# set: login_timeout=3 idle_timeout=4
# RFC 1939 s3: the connection ends without a response, and nothing is deleted
S: +OK restante ready
!end
!again
S: +OK restante ready
C: USER ann
S: +OK send PASS
!end
!again
S: +OK restante ready
C: USER ann
S: +OK send PASS
C: PASS restante
S: +OK 1 message
C: DELE 1
S~ \+OK .*
!end
!again
S: +OK restante ready
C: USER ann
S: +OK send PASS
C: PASS restante
S: +OK 1 message
!wait 2.4
C: NOOP
S: +OK
!wait 2.4
C: STAT
S~ \+OK 1 \d+
C: QUIT
S: +OK bye
!end
