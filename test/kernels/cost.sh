# What calls and the start of a container cost in a guest, as root: prints "CELL NAME|FACTOR", how many
# times as long they take as what real root does without a container.
mkdir /disk/cost

# contained OPTION... prints the costs in a container of the user.
contained() { su user -s /bin/sh -c "cd /disk/user && unset XDG_RUNTIME_DIR && subuidless exec $* -- cost && cost subuidless exec $* -- true"; }

{
	(cd /disk/cost && cost && cost true) | sed 's/^/native /'
	contained | sed 's/^/contained /'
	# Which kernels it needs is a matter of subuidless doctor.
	if su user -s /bin/sh -c 'unset XDG_RUNTIME_DIR; subuidless exec --accelerate=on -- true' >/dev/null 2>&1; then
		contained --accelerate=on | sed 's/^/accelerated /'
	fi
} 2>&1 | awk '
	NF == 3 && $1 == "native" { native[$2] = $3; next }
	NF == 3 && native[$2] > 0 { printf "CELL cost of %s%s|%.0fx\n", $2, $1 == "accelerated" ? ", accelerated" : "", $3 / native[$2]; cells++; next }
	{ print "FAIL costs: " $0 }
	END { if (cells != 3 && cells != 6) print "FAIL costs: " cells + 0 " figures" }'
