# users: ann=tanstaaf ben=restante
# mail: ann=plain
# set: apop=yes
# RFC 1939 s7: a stamp in the greeting, the digest over stamp and secret; no second use of a stamp
S~ \+OK restante ready <[0-9a-zA-Z.]+@[^ >]+>
C: CAPA
S. *
C: APOP ann \m{tanstaaf}
S: +OK 1 message
C: QUIT
S: +OK bye
!end
!again
S~ \+OK restante ready <.*>
C: APOP ann c4c9334bac560ecc979e58001b3e22fb
S: -ERR [AUTH] user name or password is wrong
C: APOP ann \m{wrong}
S: -ERR [AUTH] user name or password is wrong
C: APOP ann
S~ -ERR .*
C: APOP ann abc
S~ -ERR .*
C: APOP
S~ -ERR .*
C: APOP ben \m{restante}
S: +OK 0 messages
C: QUIT
S: +OK bye
!end
!again
# every port has the stamp in its greeting
!port tls
S~ \+OK restante ready <.*>
C: APOP ann \m{tanstaaf}
S: +OK 1 message
C: QUIT
S: +OK bye
!end
