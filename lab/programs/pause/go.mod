module cnibench/lab/programs/pause

go 1.26

tool cnibench/lab/programs/pause
