# users: ann=restante ben=restante
# mail: ann=plain,two-lines
# set: takeover=4
# a silent session gives its maildrop to a newcomer from the same address, and ends without a commit
S: +OK restante ready
C: USER ann
S: +OK send PASS
C: PASS restante
S: +OK 2 messages
!use 2
S: +OK restante ready
C: USER ann
S: +OK send PASS
C: PASS restante
S~ -ERR \[IN-USE\] .*
!wait 4.5
C: USER ann
S: +OK send PASS
C: PASS restante
S: +OK 2 messages
!use 1
!end
# but not one that has deletions pending
!use 2
C: DELE 1
S~ \+OK .*
!wait 4.5
!use 3
S: +OK restante ready
C: USER ann
S: +OK send PASS
C: PASS restante
S~ -ERR \[IN-USE\] .*
!use 2
C: QUIT
S: +OK bye
!end
!use 3
C: USER ann
S: +OK send PASS
C: PASS restante
S: +OK 1 message
C: QUIT
S: +OK bye
