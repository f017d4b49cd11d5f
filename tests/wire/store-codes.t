# mail: ann=plain,two-lines
# fault storage: msg_open 1 error GONE
# fault storage: mbox_open 2 error BUSY
# fault storage: mbox_open 3 error PERM
# a vanished message is an -ERR and the session lives; codes of a mailbox that does not open
S: +OK restante ready
C: USER ann
S~ \+OK.*
C: PASS restante
S: +OK 2 messages
C: RETR 1
S: -ERR this message is no longer there
C: RETR 1
S~ \+OK.*
S. *
C: QUIT
S: +OK bye
!again
S: +OK restante ready
C: USER ann
S~ \+OK.*
C: PASS restante
S~ -ERR \[IN-USE\] .*
C: USER ann
S~ \+OK.*
C: PASS restante
S~ -ERR \[SYS/PERM\] .*
C: USER ann
S~ \+OK.*
C: PASS restante
S: +OK 2 messages
C: QUIT
S: +OK bye
