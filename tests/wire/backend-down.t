# mail: ann=plain
# fault auth: verify 1 error DOWN
# fault auth: verify 2 error TEMP
# fault auth: verify 3 badcode
# a failed backend is [SYS/TEMP], never a wrong password
S: +OK restante ready
C: USER ann
S~ \+OK.*
C: PASS restante
S~ -ERR \[SYS/TEMP\] .*
C: USER ann
S~ \+OK.*
C: PASS restante
S~ -ERR \[SYS/TEMP\] .*
C: USER ann
S~ \+OK.*
C: PASS restante
S~ -ERR \[SYS/TEMP\] .*
C: USER ann
S~ \+OK.*
C: PASS restante
S: +OK 1 message
C: QUIT
S: +OK bye
