package keeper

// The methods that make the requests Requests and Ops; Validate is beside them
// in validate.go.

// Name implements Request.
func (*Create) Name() string { return "create" }

// Name implements Request.
func (*Delete) Name() string { return "delete" }

// Name implements Request.
func (*Get) Name() string { return "get" }

// Name implements Request.
func (*Set) Name() string { return "set" }

// Name implements Request.
func (*Exists) Name() string { return "exists" }

// Name implements Request.
func (*Children) Name() string { return "children" }

// Name implements Request.
func (*GetACL) Name() string { return "get ACL" }

// Name implements Request.
func (*SetACL) Name() string { return "set ACL" }

// Name implements Request.
func (*Sync) Name() string { return "sync" }

// Name implements Op.
func (*Check) Name() string { return "check" }

// Name implements Request.
func (*Multi) Name() string { return "multi" }

// Target implements Request.
func (r *Create) Target() string { return r.Path }

// Target implements Request.
func (r *Delete) Target() string { return r.Path }

// Target implements Request.
func (r *Get) Target() string { return r.Path }

// Target implements Request.
func (r *Set) Target() string { return r.Path }

// Target implements Request.
func (r *Exists) Target() string { return r.Path }

// Target implements Request.
func (r *Children) Target() string { return r.Path }

// Target implements Request.
func (r *GetACL) Target() string { return r.Path }

// Target implements Request.
func (r *SetACL) Target() string { return r.Path }

// Target implements Request.
func (r *Sync) Target() string { return r.Path }

// Target implements Op.
func (r *Check) Target() string { return r.Path }

// Target is the path of the first op: it names the Multi in errors.
func (r *Multi) Target() string {
	if len(r.Ops) == 0 || isNil(r.Ops[0]) {
		return ""
	}
	return r.Ops[0].Target()
}

// Reset implements Request.
func (r *Create) Reset() { r.Result, r.Created, r.Stat = Result{}, "", Stat{} }

// Reset implements Request.
func (r *Delete) Reset() { r.Result = Result{} }

// Reset implements Request.
func (r *Get) Reset() { r.Result, r.Data, r.Stat, r.Watched = Result{}, nil, Stat{}, nil }

// Reset implements Request.
func (r *Set) Reset() { r.Result, r.Stat = Result{}, Stat{} }

// Reset implements Request.
func (r *Exists) Reset() { r.Result, r.Found, r.Stat, r.Watched = Result{}, false, Stat{}, nil }

// Reset implements Request.
func (r *Children) Reset() { r.Result, r.Names, r.Stat, r.Watched = Result{}, nil, Stat{}, nil }

// Reset implements Request.
func (r *GetACL) Reset() { r.Result, r.ACL, r.Stat = Result{}, nil, Stat{} }

// Reset implements Request.
func (r *SetACL) Reset() { r.Result, r.Stat = Result{}, Stat{} }

// Reset implements Request.
func (r *Sync) Reset() { r.Result = Result{} }

// Reset implements Op.
func (r *Check) Reset() { r.Result = Result{} }

// Reset clears the results of the ops too.
func (r *Multi) Reset() {
	r.Result = Result{}
	for _, op := range r.Ops {
		if !isNil(op) {
			op.Reset()
		}
	}
}

func (*Create) request()   {}
func (*Delete) request()   {}
func (*Get) request()      {}
func (*Set) request()      {}
func (*Exists) request()   {}
func (*Children) request() {}
func (*GetACL) request()   {}
func (*SetACL) request()   {}
func (*Sync) request()     {}
func (*Multi) request()    {}

func (*Create) op() {}
func (*Delete) op() {}
func (*Set) op()    {}
func (*Check) op()  {}
